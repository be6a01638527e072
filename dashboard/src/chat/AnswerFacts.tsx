import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { formatDuration, formatMoney, formatNumber } from "@/lib/format";
import { CopyButton } from "@/ui/copy-button";
import { tokensOf, tokensPerSecond } from "./totals";
import type { Answer } from "./types";

const sources: Record<string, string> = {
  counted: "counted by the gateway: the provider reported nothing",
  estimated: "estimated by the gateway: the provider reported nothing",
};

/** What an answer used, cost and took. The gateway's record replaces what the page measured. */
export function AnswerFacts({ answer }: { answer: Answer }) {
  const { recorded, requestID } = answer;
  const tokens = tokensOf(answer);
  const speed = tokensPerSecond(answer);
  const cached = recorded?.cachedTokens ?? answer.usage?.cached ?? 0;
  const source = recorded && sources[recorded.usageSource];
  return (
    <ul aria-label="Facts of the answer" className="figures flex flex-wrap items-center gap-x-3 gap-y-0.5 pl-1 text-xs text-muted">
      {tokens && (
        <Fact title={`Tokens of the prompt and of the answer${cached ? `; ${formatNumber(cached)} of the prompt were cached` : ""}${source ? `; ${source}` : ""}`}>
          {source && "≈ "}
          {formatNumber(tokens.prompt)} + {formatNumber(tokens.completion)} tokens
        </Fact>
      )}
      {recorded && <Fact title="What it cost, as the gateway recorded it">{formatMoney(recorded.costNano)}</Fact>}
      {answer.ttftMs !== null && <Fact title="Time to the first token">first {formatDuration(recorded?.ttftMs ?? answer.ttftMs)}</Fact>}
      {answer.durationMs !== null && <Fact title="Time in all">total {formatDuration(recorded?.durationMs ?? answer.durationMs)}</Fact>}
      {speed !== null && <Fact title="Tokens a second, from the first one on">{formatNumber(Math.round(speed))} tok/s</Fact>}
      {requestID && (
        <li className="flex items-center">
          {recorded ? (
            <Link to="/requests/$id" params={{ id: recorded.id }} title={`Request ${requestID}`} className="underline decoration-line-strong underline-offset-2 hover:text-foreground">
              View record
            </Link>
          ) : (
            <span title={requestID}>{requestID.slice(0, 8)}…</span>
          )}
          <CopyButton text={requestID} label="Copy the request id" className="size-6" />
        </li>
      )}
    </ul>
  );
}

const Fact = ({ title, children }: { title: string; children: ReactNode }) => <li title={title}>{children}</li>;
