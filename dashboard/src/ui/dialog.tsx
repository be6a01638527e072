import { X } from "lucide-react";
import { useEffect, useId, useRef, type ReactNode } from "react";
import { cn } from "@/lib/cn";
import { IconButton } from "./button";

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  side?: "center" | "left" | "right";
  className?: string;
  /** Whether Escape and a click outside close it; off while it shows something that is only shown once. */
  dismissable?: boolean;
}

const sides = {
  center: "w-[min(34rem,calc(100vw-2rem))] max-h-[calc(100dvh-2rem)] rounded-2xl border",
  left: "ml-0 h-dvh max-h-none w-[min(19rem,88vw)] border-r",
  right: "mr-0 h-dvh max-h-none w-[min(26rem,94vw)] border-l",
};

/** A modal dialog of the browser's own: it keeps the focus in, and gives it back. */
export function Dialog({ open, onClose, title, description, children, side = "center", className, dismissable = true }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={ref}
      aria-labelledby={`${id}-title`}
      onClose={onClose}
      onCancel={(event) => !dismissable && event.preventDefault()}
      onMouseDown={(event) => dismissable && event.target === ref.current && onClose()}
      className={cn("overflow-hidden bg-raised p-0 text-left shadow-2xl", sides[side], className)}
    >
      {open && (
        <div className="flex h-full max-h-[inherit] flex-col">
          <header className="flex items-start gap-3 px-5 pt-4 pb-2">
            <div className="min-w-0 flex-1 pt-1">
              <h2 id={`${id}-title`} className="text-base leading-6 font-semibold">
                {title}
              </h2>
              {description && <p className="mt-0.5 text-muted">{description}</p>}
            </div>
            {dismissable && (
              <IconButton label="Close" size="icon-sm" onClick={onClose}>
                <X />
              </IconButton>
            )}
          </header>
          <div className="scroll-thin min-h-0 flex-1 overflow-y-auto px-5 pt-1 pb-5" tabIndex={-1}>
            {children}
          </div>
        </div>
      )}
    </dialog>
  );
}
