#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Calls the platform with a session's headers: call.mjs CONTROL_SOCKET SESSION /PATH
import { request } from "node:http";

const [control, name, path] = process.argv.slice(2);
const session = "/v1/sessions/" + encodeURIComponent(name);

const keeper = (method, path, body) => new Promise((resolve, reject) => {
  const call = request({ socketPath: control, method, path, timeout: 30000 }, async (answer) => {
    let text = "";
    for await (const piece of answer) text += piece;
    const document = text ? JSON.parse(text) : null;
    if (answer.statusCode < 400) resolve(document);
    else reject(new Error(`freshetd: ${document?.detail ?? answer.statusMessage}`));
  });
  call.on("timeout", () => call.destroy(new Error("freshetd does not answer"))).on("error", reject);
  call.end(body && JSON.stringify(body));
});

try {
  const { url } = await keeper("GET", "/v1/platform");
  const fresh = await keeper("GET", session + "/headers");
  const answer = await fetch(url + path, {
    headers: fresh.headers, redirect: "manual", signal: AbortSignal.timeout(30000),
  }); // follows no redirect: the headers belong to the platform
  if (answer.status === 401) // told, and never tried again
    await keeper("POST", session + "/unauthorized", { generation: fresh.generation });
  console.log(await answer.text());
  if (!answer.ok) throw new Error(`the platform: ${answer.status} ${answer.statusText}`);
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
