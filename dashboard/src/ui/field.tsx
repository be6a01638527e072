import { useId, type ComponentProps, type ReactNode } from "react";
import { cn } from "@/lib/cn";

export const fieldStyle =
  "w-full rounded-lg border border-line-strong/60 bg-surface px-3 text-base sm:text-sm outline-none transition-colors focus-visible:border-accent focus-visible:ring-2 focus-visible:ring-accent/30 disabled:opacity-50 aria-invalid:border-danger";

export function Input({ className, ...props }: ComponentProps<"input">) {
  return <input className={cn(fieldStyle, "h-9", className)} {...props} />;
}

export function Select({ className, ...props }: ComponentProps<"select">) {
  return <select className={cn(fieldStyle, "h-9 pr-7 text-sm", className)} {...props} />;
}

export function Textarea({ className, ...props }: ComponentProps<"textarea">) {
  return <textarea className={cn(fieldStyle, "py-2", className)} {...props} />;
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: ReactNode;
  children: (ids: { id: string; "aria-describedby": string; "aria-invalid"?: boolean }) => ReactNode;
}

/** A control with its label, and what is to be known or wrong below it. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  return (
    <div className="space-y-1.5">
      <label htmlFor={id} className="block font-medium">
        {label}
      </label>
      {children({ id, "aria-describedby": `${id}-hint`, "aria-invalid": error ? true : undefined })}
      <p id={`${id}-hint`} className={cn("text-[0.8125rem]", error ? "text-danger" : "text-muted")}>
        {error ?? hint}
      </p>
    </div>
  );
}
