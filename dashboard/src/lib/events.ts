/** What parts of the page tell others that they are far from. */
export const helpEvent = "gateway:help";
export const chooseModelEvent = "gateway:choose-model";

export const tell = (name: string) => void window.dispatchEvent(new Event(name));

export function listen(name: string, act: () => void) {
  window.addEventListener(name, act);
  return () => window.removeEventListener(name, act);
}
