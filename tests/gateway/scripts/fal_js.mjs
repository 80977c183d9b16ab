// What a user of @fal-ai/client writes; prints what came of it as JSON.
//
// Its arguments are the address of the proxy, the key, the name of a function here, and the
// function's argument, as JSON.

import { openAsBlob } from "node:fs";
import { createFalClient } from "@fal-ai/client";

const [proxy, key, scenario, text] = process.argv.slice(-4);
const fal = createFalClient({ credentials: key, proxyUrl: { url: proxy, when: "always" } });
const APP = "fal-ai/mmaudio-v2";

async function tried(call) {
  try {
    return { answer: await call() };
  } catch (error) {
    return {
      kind: error.name,
      message: error.message,
      status: error.status,
      body: error.body,
      requestId: error.requestId,
      userTimeout: error.isUserTimeout,
      fields: error.fieldErrors,
    };
  }
}

const scenarios = {
  async subscribe({ app = APP, mode, ...input }) {
    const updates = [];
    const onQueueUpdate = (update) => updates.push(structuredClone(update));
    const result = await fal.subscribe(app, { input, logs: true, mode, onQueueUpdate });
    return { updates, ...result };
  },

  // Every call on a request.
  async queue({ app = APP, ...input }) {
    const submitted = await fal.queue.submit(app, { input, priority: "low", hint: "a hint" });
    const requestId = submitted.request_id;
    const first = await fal.queue.status(app, { requestId, logs: true });
    const early = await tried(() => fal.queue.result(app, { requestId }));
    const end = await fal.queue.subscribeToStatus(app, { requestId, pollInterval: 100 });
    const result = await fal.queue.result(app, { requestId });
    const late = await tried(() => fal.queue.cancel(app, { requestId }));
    return { submitted, first, early, end, result, late };
  },

  async cancel({ when, ...input }) {
    const { request_id: requestId } = await fal.queue.submit(APP, { input });
    while (true) {
      const { status, queue_position } = await fal.queue.status(APP, { requestId });
      if (status === "COMPLETED") return { missed: when };
      if (status === when && queue_position !== 0) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const asked = Date.now();
    await fal.queue.cancel(APP, { requestId });
    const end = await fal.queue.subscribeToStatus(APP, { requestId, mode: "streaming" });
    const took = (Date.now() - asked) / 1000;
    return { end, took, result: await tried(() => fal.queue.result(APP, { requestId })) };
  },

  run: ({ app = APP, ...input }) => fal.run(app, { input }),

  startTimeout: ({ seconds, ...input }) =>
    tried(() => fal.subscribe(APP, { input, startTimeout: seconds })),

  tried: ({ app = APP, ...input }) => tried(() => fal.subscribe(app, { input })),

  async webhook({ webhookUrl, ...input }) {
    return fal.queue.submit(APP, { input, webhookUrl });
  },

  // A file, of which the client makes a URL, and its URL.
  async upload({ path, ...input }) {
    const file = await openAsBlob(path, { type: "video/mp4" });
    const url = await fal.storage.upload(new File([file], "my clip.mp4", { type: file.type }));
    const byUrl = await fal.run(APP, { input: { ...input, video_url: url } });
    const byBlob = await fal.run(APP, { input: { ...input, video_url: file } });
    return { url, byUrl, byBlob };
  },

  async unknown({ requestId, app = APP }) {
    return {
      status: await tried(() => fal.queue.status(app, { requestId })),
      result: await tried(() => fal.queue.result(app, { requestId })),
      cancel: await tried(() => fal.queue.cancel(app, { requestId })),
      streamed: await tried(() =>
        fal.queue.subscribeToStatus(app, { requestId, mode: "streaming" }),
      ),
      application: await tried(() => fal.queue.submit("fal-ai/other", { input: {} })),
    };
  },
};

console.log(JSON.stringify(await tried(() => scenarios[scenario](JSON.parse(text)))));
