import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { FileText } from "lucide-react";
import { getJSON } from "@/api/client";
import type { Prompt, PromptPage } from "@/api/types";
import { usePageSearch } from "@/lib/search";
import { Button } from "@/ui/button";
import { Empty, Failure, Skeleton } from "@/ui/feedback";
import { Input } from "@/ui/field";
import { Page } from "@/ui/page";
import { Time } from "@/ui/time";
import { Marked } from "./Preview";
import { RequestTabs } from "./RequestTabs";

/** The prompt log: previews of prompts and answers, found by their words. */
export function PromptsPage() {
  const [search, setSearch] = usePageSearch();
  const { text, model, key } = search;
  const log = useInfiniteQuery({
    queryKey: ["prompts", text, model, key],
    queryFn: ({ pageParam, signal }) => getJSON<PromptPage>("/api/prompt-log", { text, model, key, limit: 50, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });
  const prompts = log.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Page title="Requests" actions={<RequestTabs />}>
      <form
        role="search"
        className="mb-4 flex gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          const words = new FormData(event.currentTarget).get("words");
          setSearch({ text: typeof words === "string" && words.trim() ? words.trim() : undefined });
        }}
      >
        <Input type="search" name="words" aria-label="Search prompts and answers" placeholder="Words of a prompt or an answer" defaultValue={text ?? ""} key={text} className="max-w-md" />
        <Button type="submit">Search</Button>
      </form>
      {log.isPending && <Skeleton className="h-64 rounded-xl" />}
      {log.isError && <Failure title="The prompt log could not be read" error={log.error} retry={() => void log.refetch()} />}
      {log.data && prompts.length === 0 && (
        <Empty icon={<FileText />} title={text || model || key ? "Nothing in the log has these words" : "The log is empty"}>
          What is kept, and for how long, says prompt_log in the configuration.
        </Empty>
      )}
      <ol className="divide-y rounded-xl border empty:hidden">
        {prompts.map((p) => (
          <Entry key={p.id} entry={p} />
        ))}
      </ol>
      {log.hasNextPage && (
        <div className="pt-4 text-center">
          <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
            Show more
          </Button>
        </div>
      )}
    </Page>
  );
}

function Entry({ entry: p }: { entry: Prompt }) {
  return (
    <li className="px-4 py-3">
      <p className="mb-1 flex flex-wrap items-center gap-x-3 text-[0.8125rem] text-muted">
        <Link to="/requests/$id" params={{ id: p.id }} className="text-accent-strong underline underline-offset-2">
          <Time at={p.started_at} />
        </Link>
        <span>{p.model}</span>
        <span>{p.label || p.key_id}</span>
      </p>
      <p className="line-clamp-3 font-medium [overflow-wrap:anywhere] whitespace-pre-line">
        <Marked text={p.prompt} />
      </p>
      <p className="mt-1 line-clamp-3 [overflow-wrap:anywhere] whitespace-pre-line text-muted">
        <Marked text={p.answer} />
      </p>
    </li>
  );
}
