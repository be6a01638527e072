import { CopyButton } from "@/ui/copy-button";
import { Card } from "@/ui/page";

/** The effective configuration; what stands behind # is where a value is from. */
export function Settings({ text }: { text: string }) {
  return (
    <Card title="Effective configuration" actions={<CopyButton text={text} label="Copy the configuration" />}>
      <pre tabIndex={0} aria-label="Effective configuration" className="scroll-thin mt-1 max-h-120 overflow-auto border-t bg-code px-4 py-3 font-mono text-[0.8125rem] leading-relaxed">
        {text.split("\n").map((line, index) => {
          const at = line.indexOf("# ");
          return (
            <span key={index} className="block min-h-[1lh]">
              {at < 0 ? line : line.slice(0, at)}
              {at >= 0 && <span className="text-muted">{line.slice(at)}</span>}
            </span>
          );
        })}
      </pre>
    </Card>
  );
}
