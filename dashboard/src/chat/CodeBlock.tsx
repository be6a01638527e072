import { useEffect, useState, type ReactNode } from "react";
import { CopyButton } from "@/ui/copy-button";

const longest = 50_000; // characters that are still highlighted

/** Code with its language and a button that copies it. It is highlighted once it no longer grows. */
export function CodeBlock({ code, language, settled }: { code: string; language: string; settled: boolean }) {
  const highlighted = useHighlighted(code, language, settled);
  return (
    <div className="overflow-hidden rounded-xl border bg-code">
      <div className="flex h-8 items-center justify-between border-b pr-1 pl-3.5 text-xs text-muted">
        <span>{language || "text"}</span>
        <CopyButton text={code} label="Copy the code" className="size-6" />
      </div>
      <pre tabIndex={0} aria-label={`Code${language ? `, ${language}` : ""}`} className="scroll-thin overflow-x-auto px-3.5 py-3 font-mono text-[0.8125rem] leading-relaxed">
        <code>{highlighted ?? code}</code>
      </pre>
    </div>
  );
}

function useHighlighted(code: string, language: string, settled: boolean): ReactNode {
  const [result, setResult] = useState<{ code: string; nodes: ReactNode } | null>(null);
  const wanted = settled && language !== "" && code.length <= longest;
  useEffect(() => {
    if (!wanted) return;
    let current = true;
    void import("./highlight").then(({ highlight }) => {
      const nodes = highlight(code, language);
      if (current && nodes) setResult({ code, nodes });
    });
    return () => {
      current = false;
    };
  }, [code, language, wanted]);
  return wanted && result?.code === code ? result.nodes : null;
}
