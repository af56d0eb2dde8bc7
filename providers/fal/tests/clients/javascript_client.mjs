// fal's own JavaScript client, unmodified, against a sandbox. Prints one JSON line.
//   node javascript_client.mjs http://127.0.0.1:8787 proxy|fetch
import { createFalClient } from "@fal-ai/client";

const [base, way] = process.argv.slice(2);
const APP = "fal-ai/kling-video/v2/master/image-to-video";
const PLACES = {
  "queue.fal.run": "/fal/queue",
  "fal.run": "/fal/run",
  "rest.fal.ai": "/fal/rest",
  "v3.fal.media": "/fal/cdn",
};

function rerouted(input, init) {
  const url = new URL(typeof input === "string" ? input : input.url);
  const place = PLACES[url.host];
  return fetch(place ? base + place + url.pathname + url.search : url, init);
}

const fal = createFalClient(
  way === "proxy"
    ? { credentials: "sandbox:sandbox", proxyUrl: { url: `${base}/fal/proxy`, when: "always" } }
    : { credentials: "sandbox:sandbox", fetch: rerouted },
);

// a 320×320 grey picture as an uncompressed BMP: enough for any decoder
function picture() {
  const side = 320;
  const data = Buffer.alloc(54 + side * side * 3, 128);
  data.write("BM");
  data.writeUInt32LE(data.length, 2);
  data.writeUInt32LE(0, 6);
  data.writeUInt32LE(54, 10);
  data.writeUInt32LE(40, 14);
  data.writeInt32LE(side, 18);
  data.writeInt32LE(side, 22);
  data.writeUInt16LE(1, 26);
  data.writeUInt16LE(24, 28);
  data.fill(0, 30, 54);
  return new Blob([data], { type: "image/bmp" });
}

const seen = {};
const statusOf = (promise) => promise.then(() => 200, (error) => error.status);

const image_url = await fal.storage.upload(picture());
seen.upload = image_url;
const input = { prompt: "x", image_url, duration: "5" };
const { request_id: requestId } = await fal.queue.submit(APP, { input });
seen.first = (await fal.queue.status(APP, { requestId, logs: true })).status;
const stream = await fal.queue.streamStatus(APP, { requestId, logs: true });
seen.stream = [];
stream.on("data", (event) => seen.stream.push(event.status));
seen.last = (await stream.done()).status;
const result = await fal.queue.result(APP, { requestId });
seen.result = result.data.video.url;
seen.sameId = result.requestId === requestId;
seen.cancelFinished = await statusOf(fal.queue.cancel(APP, { requestId }));
const second = await fal.queue.submit(APP, { input });
seen.cancel = await statusOf(fal.queue.cancel(APP, { requestId: second.request_id }));
seen.unknown = await statusOf(fal.queue.status(APP, { requestId: "nobody" }));
const subscribed = await fal.subscribe(APP, { input: { ...input, image_url: picture() } });
seen.subscribe = subscribed.data.video.content_type;
console.log(JSON.stringify(seen));
