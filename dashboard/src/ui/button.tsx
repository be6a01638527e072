import { cva, type VariantProps } from "class-variance-authority";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";

const button = cva(
  "inline-flex shrink-0 items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap transition-colors disabled:pointer-events-none disabled:opacity-50 [&_svg]:shrink-0",
  {
    variants: {
      variant: {
        primary: "bg-accent text-on-accent hover:bg-accent-strong",
        outline: "border border-line-strong/60 bg-surface hover:bg-hover",
        ghost: "hover:bg-hover",
        danger: "bg-danger-soft text-danger hover:brightness-95 dark:hover:brightness-125",
      },
      size: {
        md: "h-9 px-3.5 text-sm [&_svg]:size-4",
        sm: "h-8 px-2.5 text-[0.8125rem] [&_svg]:size-3.5",
        icon: "size-9 [&_svg]:size-4.5",
        "icon-sm": "size-7 rounded-md text-muted hover:text-foreground [&_svg]:size-4",
      },
    },
    defaultVariants: { variant: "outline", size: "md" },
  },
);

type ButtonProps = ComponentProps<"button"> & VariantProps<typeof button>;

export function Button({ className, variant, size, ...props }: ButtonProps) {
  return <button type="button" className={cn(button({ variant, size }), className)} {...props} />;
}

/** A button that shows an icon alone; its label names it and shows on hover. */
export function IconButton({ label, children, ...props }: ButtonProps & { label: string; children: ReactNode }) {
  return (
    <Button variant="ghost" size="icon" aria-label={label} title={label} {...props}>
      {children}
    </Button>
  );
}
