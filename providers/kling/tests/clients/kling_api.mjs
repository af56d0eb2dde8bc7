// The npm package kling-api against the sandbox: create, wait, download; by JWT.
import { KlingAPI } from "kling-api";

const api = new KlingAPI({ accessKey: "sandbox-ak", secretKey: "sandbox-sk" });
api.client.defaults.baseURL = process.argv[2]; // its own option insists on https
const wait = { interval: 50, showSpinner: false };

const film = await api.textToVideo({
  model_name: "kling-v2-5-turbo",
  prompt: "a fox",
  duration: "5",
});
const made = await api.waitForVideoResult(
  film.data.task_id,
  (id) => api.queryTextToVideoTask(id),
  wait,
);
const video = made.data.task_result.videos[0];
const file = await fetch(video.url);
const refused = await api
  .textToVideo({ model_name: "kling-v1", prompt: "a fox" })
  .then(() => "accepted")
  .catch((error) => error.message);
console.log(
  JSON.stringify({
    status: file.status,
    type: file.headers.get("content-type"),
    bytes: (await file.arrayBuffer()).byteLength,
    duration: video.duration,
    refused,
  }),
);
