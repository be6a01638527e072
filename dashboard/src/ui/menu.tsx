import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

export const menuStyle = "z-50 min-w-44 rounded-xl border bg-raised p-1 shadow-lg";
export const menuItemStyle =
  "flex cursor-default items-center gap-2.5 rounded-lg px-2.5 py-1.5 outline-none data-[disabled]:opacity-50 data-[highlighted]:bg-hover data-[state=open]:bg-hover [&_svg]:size-4 [&_svg]:text-muted";

/** A menu below its trigger. Not modal: locking the page's scroll would need inline styles. */
export function Menu({ trigger, children, align = "end" }: { trigger: ReactNode; children: ReactNode; align?: "start" | "end" }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align={align} sideOffset={4} className={menuStyle}>
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

interface MenuItemProps {
  onSelect: () => void;
  children: ReactNode;
  danger?: boolean;
  disabled?: boolean;
}

export function MenuItem({ onSelect, children, danger, disabled }: MenuItemProps) {
  return (
    <DropdownMenu.Item
      disabled={disabled}
      onSelect={onSelect}
      className={cn(menuItemStyle, danger && "text-danger [&_svg]:text-danger")}
    >
      {children}
    </DropdownMenu.Item>
  );
}
