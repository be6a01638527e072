import type { components } from "./schema";

type Schemas = components["schemas"];

export type Usage = Schemas["Usage"];
export type Sums = Schemas["Sums"];
export type Series = Schemas["Series"];
export type Bucket = Schemas["Bucket"];
export type Costs = Schemas["Costs"];
export type CostsReport = Schemas["CostsReport"];
export type Percentiles = Schemas["Percentiles"];
export type RequestRow = Schemas["Request"];
export type RequestPage = Schemas["RequestPage"];
export type RequestDetail = Schemas["RequestDetail"];
export type Attempt = Schemas["Attempt"];
export type System = Schemas["System"];
export type Backend = Schemas["Backend"];
export type Finding = Schemas["Finding"];
export type Findings = Schemas["Findings"];
export type Health = Schemas["Health"];
export type Prompt = Schemas["Prompt"];
export type PromptPage = Schemas["PromptPage"];
