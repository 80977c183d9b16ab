// On the classic canvas the page sends its video preview along as an input of the node, which then
// runs, and writes its file, once more.
import { app } from "../../../scripts/app.js";

app.registerExtension({
  name: "MMAudio.VideoPreview",
  nodeCreated(node) {
    if (node.constructor.nodeData?.name !== "MuxAudioVideo" || !node.widgets?.length) return;
    node.widgets[0].beforeQueued = () => {
      const preview = node.widgets.find((widget) => widget.name === "video-preview");
      if (preview) preview.options = { ...preview.options, serialize: false };
    };
  },
});
