import { newID } from "@/lib/id";
import type { Attachment } from "./types";

const maxImage = 15 << 20;
const maxText = 1 << 20;
const imageTypes = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** Reads a file into an attachment, or says why that cannot be one. */
export async function readAttachment(file: File): Promise<Attachment | string> {
  if (imageTypes.includes(file.type)) {
    if (file.size > maxImage) return `${file.name} is larger than 15 MiB.`;
    return { id: newID(), kind: "image", name: file.name, size: file.size, data: await dataURL(file) };
  }
  if (file.type.startsWith("image/")) return `${file.name}: models take PNG, JPEG, WebP and GIF images.`;
  if (file.size > maxText) return `${file.name} is larger than 1 MiB.`;
  const text = decode(await file.arrayBuffer());
  if (text === null) return `${file.name} is neither an image nor text.`;
  return { id: newID(), kind: "text", name: file.name, size: file.size, data: text };
}

function dataURL(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error(`reading ${file.name}`));
    reader.readAsDataURL(file);
  });
}

function decode(bytes: ArrayBuffer): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}
