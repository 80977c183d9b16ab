// On the classic canvas the page shows a saved video in a widget. It would send that along as an input
// of the node, which then runs, and writes its file, once more; and it would show it beside the take
// panel, which plays the same file.
import { app } from "../../../scripts/app.js";

const WIDGET = "video-preview";

app.registerExtension({
  name: "MMAudio.VideoPreview",
  nodeCreated(node) {
    if (node.constructor.nodeData?.name !== "MuxAudioVideo") return;
    const { addDOMWidget } = node;
    node.addDOMWidget = function (name, type, element, options) {
      if (name !== WIDGET) return addDOMWidget.apply(this, arguments);
      const widget = addDOMWidget.call(this, name, type, element, { ...options, serialize: false });
      Object.defineProperty(widget, "hidden", {
        get: () => Boolean(node.hideOutputImages), // as Nodes 2.0 does
        set() {},
        configurable: true,
      });
      return widget;
    };
  },
});
