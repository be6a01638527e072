import { useEffect } from "react";

/**
 * Makes the app as high as what a phone's keyboard leaves of the screen. Browsers that know
 * `interactive-widget` do that themselves; Safari lays the keyboard over the page.
 */
export function useVisibleHeight() {
  useEffect(() => {
    const viewport = window.visualViewport;
    if (!viewport) return;
    const follow = () => {
      const covered = viewport.scale === 1 && viewport.height < window.innerHeight - 1;
      document.documentElement.style.setProperty("--app-height", covered ? `${viewport.height}px` : "100dvh");
    };
    follow();
    viewport.addEventListener("resize", follow);
    return () => viewport.removeEventListener("resize", follow);
  }, []);
}
