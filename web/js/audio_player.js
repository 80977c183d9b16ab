// The page's player of sounds, which it gives to ComfyUI's own nodes by their names.
import { app } from "../../../scripts/app.js";

const NODE = "MMAudioSaveAudio";
const PLAYER = "audioUI";

app.registerExtension({
  name: "MMAudio.AudioPlayer",
  beforeRegisterNodeDef(_nodeType, nodeData) {
    if (nodeData.name === NODE) nodeData.input.required[PLAYER] = ["AUDIO_UI", {}];
  },
  nodeCreated(node) {
    if (node.constructor.nodeData?.name !== NODE) return;
    const player = node.widgets?.find((widget) => widget.name === PLAYER);
    // the page of 0.8.0 sends it along as an input of the node
    if (player) player.options = { ...player.options, serialize: false };
  },
});
