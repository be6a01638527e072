import { expect, test } from "vitest";
import { failureText, loginAddress } from "./signInTexts";

test("an error's text is ours, whatever the address says", () => {
  expect(failureText("not_invited")).toContain("invite");
  expect(failureText("<img src=x onerror=alert(1)>")).toBe(failureText("constructor-of-nothing"));
});

test("signing in goes on with the page that was shown", () => {
  expect(loginAddress({ pathname: "/usage", search: "?range=7d" })).toBe("/auth/login?return_to=%2Fusage%3Frange%3D7d");
  expect(loginAddress({ pathname: "/sign-in", search: "?error=not_invited" })).toBe("/auth/login?return_to=%2F");
});
