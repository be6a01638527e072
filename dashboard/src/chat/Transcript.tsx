import { ArrowDown } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/ui/button";
import { isBusy } from "./actions";
import { TurnView } from "./TurnView";
import type { Conversation } from "./types";
import { useStickToBottom } from "./useStickToBottom";

const shownAtFirst = 30; // turns; older ones are shown on demand

export function Transcript({ conversation }: { conversation: Conversation }) {
  const { view, content, atBottom, toBottom } = useStickToBottom();
  const [shown, setShown] = useState(shownAtFirst);
  const { turns, id } = conversation;
  const hidden = Math.max(0, turns.length - shown);
  const count = useRef(turns.length);
  useEffect(() => {
    if (turns.length > count.current) toBottom(); // one's own message is always seen
    count.current = turns.length;
  }, [turns.length, toBottom]);
  return (
    <div className="relative min-h-0 flex-1">
      <div ref={view} tabIndex={0} role="region" aria-label="Conversation" className="scroll-thin h-full overflow-y-auto outline-none">
        <div ref={content} className="px-4 py-6">
          {hidden > 0 && (
            <div className="pb-6 text-center">
              <Button size="sm" onClick={() => setShown(shown + shownAtFirst)}>
                Show {Math.min(hidden, shownAtFirst)} earlier
              </Button>
            </div>
          )}
          <ol className="space-y-8">
            {turns.slice(hidden).map((turn, index) => (
              <TurnView key={turn.id} conversationID={id} turn={turn} last={hidden + index === turns.length - 1} />
            ))}
          </ol>
        </div>
      </div>
      {!atBottom && (
        <Button size="sm" className="absolute bottom-3 left-1/2 -translate-x-1/2 rounded-full bg-raised shadow-md" onClick={toBottom}>
          <ArrowDown /> Jump to latest
        </Button>
      )}
      <Progress conversation={conversation} />
    </div>
  );
}

/** Says to screen readers that an answer is coming, and that it is complete; the text itself is not read out as it grows. */
function Progress({ conversation }: { conversation: Conversation }) {
  const busy = isBusy(conversation);
  const wasBusy = useRef(busy);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (busy) setSaid("The answer is being written.");
    else if (wasBusy.current) setSaid("The answer is complete.");
    wasBusy.current = busy;
  }, [busy]);
  return (
    <p role="status" className="sr-only">
      {said}
    </p>
  );
}
