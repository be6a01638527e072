import { useEffect } from "react";
import { useLocal } from "./local";

export type Theme = "light" | "dark" | "system";

const darkPreferred = () => matchMedia("(prefers-color-scheme: dark)");

function apply(theme: Theme) {
  const dark = theme === "dark" || (theme === "system" && darkPreferred().matches);
  document.documentElement.classList.toggle("dark", dark);
}

/** The chosen theme. public/theme.js sets the same one before the first paint. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [stored, store] = useLocal("theme");
  const theme: Theme = stored === "light" || stored === "dark" ? stored : "system";
  useEffect(() => {
    apply(theme);
    const query = darkPreferred();
    const follow = () => apply(theme);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, [theme]);
  return [theme, (next) => store(next === "system" ? null : next)];
}
