import { useCallback, useEffect, useRef, useState } from "react";

const near = 24; // pixels from the bottom that count as being there

/**
 * Follows the end of a growing page until its reader scrolls up, and again from when
 * they are back at the bottom. That the page grows is no scrolling.
 */
export function useStickToBottom() {
  const view = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const lastTop = useRef(0);
  const [atBottom, setAtBottom] = useState(true);

  const stick = useCallback((value: boolean) => {
    stuck.current = value;
    setAtBottom(value);
  }, []);

  const toBottom = useCallback(() => {
    stick(true);
    const el = view.current;
    if (el) el.scrollTop = el.scrollHeight;
  }, [stick]);

  useEffect(() => {
    const el = view.current;
    if (!el || !content.current) return;
    const onScroll = () => {
      const up = el.scrollTop < lastTop.current;
      lastTop.current = el.scrollTop;
      const bottom = el.scrollHeight - el.clientHeight - el.scrollTop <= near;
      if (bottom) stick(true);
      else if (up) stick(false);
    };
    // A wheel that turns up lets go before the page has moved a pixel.
    const onWheel = (event: WheelEvent) => event.deltaY < 0 && el.scrollHeight > el.clientHeight && stick(false);
    const grown = new ResizeObserver(() => {
      if (stuck.current) el.scrollTop = el.scrollHeight;
      lastTop.current = el.scrollTop;
    });
    el.addEventListener("scroll", onScroll, { passive: true });
    el.addEventListener("wheel", onWheel, { passive: true });
    grown.observe(content.current);
    grown.observe(el);
    return () => {
      el.removeEventListener("scroll", onScroll);
      el.removeEventListener("wheel", onWheel);
      grown.disconnect();
    };
  }, [stick]);

  return { view, content, atBottom, toBottom };
}
