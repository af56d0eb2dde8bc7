// Vercel's @ai-sdk/fal, unmodified, against a sandbox. Prints one JSON line.
//   node ai_sdk_client.mjs http://127.0.0.1:8787
import { createFal } from "@ai-sdk/fal";
import { experimental_generateVideo as generateVideo, generateImage } from "ai";

const [base] = process.argv.slice(2);
const PLACES = {
  "queue.fal.run": "/fal/queue",
  "fal.run": "/fal/run",
  "rest.fal.ai": "/fal/rest",
  "v3.fal.media": "/fal/cdn",
};

// the client sends its key only to the origin that it submitted to: it has to see that one
async function rerouted(input, init) {
  const url = new URL(typeof input === "string" ? input : (input.url ?? input));
  const place = PLACES[url.host];
  const answer = await fetch(place ? base + place + url.pathname + url.search : url, init);
  if (!answer.headers.get("content-type")?.includes("json")) return answer;
  const text = (await answer.text()).replaceAll(`${base}/fal/queue/`, "https://queue.fal.run/");
  return new Response(text, { status: answer.status, headers: answer.headers });
}

const fal = createFal({ apiKey: "sandbox:sandbox", fetch: rerouted });
const seen = {};

const film = await generateVideo({
  model: fal.video("kling-video/v2.6/pro/text-to-video"),
  prompt: "a lake",
  aspectRatio: "16:9",
  providerOptions: { fal: { pollIntervalMs: 100 } },
  download: async ({ url }) => {
    const answer = await fetch(url); // its own download refuses addresses of this machine
    const data = new Uint8Array(await answer.arrayBuffer());
    return { data, mediaType: answer.headers.get("content-type") };
  },
});
seen.video = film.videos[0].mediaType;
seen.bytes = film.videos[0].uint8Array.length;

const still = await generateImage({ model: fal.image("fal-ai/kolors"), prompt: "a lake" });
seen.image = still.images[0].mediaType;

const refused = await generateVideo({
  model: createFal({ apiKey: "wrong", fetch: rerouted }).video("kling-video/v2.6/pro/text-to-video"),
  prompt: "a lake",
  maxRetries: 0,
}).then(() => "", (error) => `${error}`);
seen.refused = refused;
console.log(JSON.stringify(seen));
