import { memo, useEffect, useMemo, useState } from "react";
import ReactMarkdown, { type Components, type Options } from "react-markdown";
import remarkGfm from "remark-gfm";
import { splitBlocks } from "./blocks";
import { CodeBlock } from "./CodeBlock";

type Plugins = { remark: Options["remarkPlugins"]; rehype: Options["rehypePlugins"] };

const plain: Plugins = { remark: [remarkGfm], rehype: [] };
let withMath: Plugins | null = null; // loaded with the first formula

const hasMath = (text: string) => /\$[^$\n]+\$|\$\$|\\\(|\\\[/.test(text);

/** The plugins that a text needs: formulas are loaded when there is one. */
function usePlugins(text: string): Plugins {
  const needed = useMemo(() => hasMath(text), [text]);
  const [, loaded] = useState(withMath !== null);
  useEffect(() => {
    if (!needed || withMath) return;
    void Promise.all([import("remark-math"), import("rehype-katex"), import("katex/dist/katex.min.css")]).then(([remark, rehype]) => {
      withMath = { remark: [remarkGfm, [remark.default, { singleDollarTextMath: true }]], rehype: [[rehype.default, { throwOnError: false, trust: false, maxExpand: 200 }]] };
      loaded(true);
    });
  }, [needed]);
  return (needed && withMath) || plain;
}

/** Formulas between \( \) and \[ \], as some models write them, in the form that remark-math reads. */
const dollars = (text: string) =>
  text
    .split(/(```[\s\S]*?(?:```|$)|`[^`\n]*`)/)
    .map((part, index) => (index % 2 ? part : part.replace(/\\\[([\s\S]+?)\\\]/g, (_, math) => `$$${math}$$`).replace(/\\\((.+?)\\\)/g, (_, math) => `$${math}$`)))
    .join("");

/** What a model wrote. HTML in it stays text, nothing is fetched, and no link has a scheme but those of the web and mail. */
export default function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const plugins = usePlugins(text);
  const blocks = splitBlocks(hasMath(text) ? dollars(text) : text);
  return (
    <div className={growing ? "prose [&>:last-child]:after:content-none" : "prose"}>
      {blocks.map((block, index) => (
        <Block key={index} text={block} plugins={plugins} settled={!growing || index < blocks.length - 1} />
      ))}
    </div>
  );
}

/** One block, parsed again only when it changes. */
const Block = memo(function Block({ text, plugins, settled }: { text: string; plugins: Plugins; settled: boolean }) {
  const components = settled ? settledParts : growingParts;
  return (
    <ReactMarkdown remarkPlugins={plugins.remark} rehypePlugins={plugins.rehype} components={components}>
      {text}
    </ReactMarkdown>
  );
});

const parts = (settled: boolean): Components => ({
  a: ({ href, children }) =>
    href ? (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ) : (
      <>{children}</>
    ),
  // A picture could tell a stranger that, and what, was answered: it opens by a click.
  img: ({ src, alt }) => <PictureLink src={typeof src === "string" ? src : ""} alt={alt ?? ""} />,
  pre: ({ children }) => <>{children}</>,
  code: ({ className, children }) => {
    const text = String(children);
    const language = /language-(\S+)/.exec(className ?? "")?.[1];
    if (!language && !text.endsWith("\n")) return <code>{children}</code>;
    return <CodeBlock code={text.replace(/\n$/, "")} language={language ?? ""} settled={settled} />;
  },
  table: ({ children }) => (
    <div tabIndex={0} role="region" aria-label="Table" className="scroll-thin overflow-x-auto">
      <table>{children}</table>
    </div>
  ),
});

const settledParts = parts(true);
const growingParts = parts(false);

function PictureLink({ src, alt }: { src: string; alt: string }) {
  const label = `Picture${alt ? `: ${alt}` : ""}`;
  if (!/^https?:/.test(src) || !URL.canParse(src)) return <span>{label}</span>;
  return (
    <a href={src} target="_blank" rel="noopener noreferrer nofollow">
      {label} ({new URL(src).hostname})
    </a>
  );
}
