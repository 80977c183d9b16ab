// The nodes of this pack on the page, and the inputs of their schema.
export function isOurs(node) {
  return /MMAudio|^MuxAudioVideo$/.test(node?.constructor.nodeData?.name ?? "");
}

// Name -> options.
export function inputOptions(node) {
  const { required, optional } = node.constructor.nodeData.input ?? {};
  const inputs = Object.entries({ ...required, ...optional });
  return Object.fromEntries(inputs.map(([name, input]) => [name, input?.[1] ?? {}]));
}
