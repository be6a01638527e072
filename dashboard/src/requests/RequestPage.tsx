export function RequestPage() { return <p>RequestPage</p>; }
