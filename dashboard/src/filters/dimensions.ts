/** What requests are filtered and grouped by, as /api/usage and /api/requests name it. */
export const dimensions = [
  { name: "model", label: "Model" },
  { name: "backend", label: "Backend" },
  { name: "key", label: "Key" },
  { name: "user", label: "User" },
  { name: "team", label: "Team" },
  { name: "tag", label: "Tag" },
] as const;

export type Dimension = (typeof dimensions)[number]["name"];

type Search = Record<string, string | undefined>;

/** The filters that an address holds. */
export function filtersOf(search: Search): Partial<Record<Dimension, string>> {
  return Object.fromEntries(dimensions.flatMap(({ name }) => (search[name] ? [[name, search[name]]] : [])));
}

/** The dimension of an address that usage is grouped by; what is no dimension is the model. */
export const groupOf = (search: Search): Dimension => dimensions.find((d) => d.name === search.group)?.name ?? "model";

/** What one group is broken down by: by key, or a key by model. */
export const breakdownOf = (group: Dimension): Dimension => (group === "key" ? "model" : "key");
