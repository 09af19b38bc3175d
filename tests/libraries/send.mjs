// Sends a story through @segment/analytics-node and says what failed.
import { readFile } from "node:fs/promises";
import { Analytics } from "@segment/analytics-node";

const order = JSON.parse(process.argv[2]);
const manifest = new URL("node_modules/@segment/analytics-node/package.json", import.meta.url);
const { version } = JSON.parse(await readFile(manifest, "utf8"));
const failed = [];
const analytics = new Analytics({ writeKey: order.writeKey, host: order.address });
analytics.on("error", (error) => failed.push(String(error.reason ?? error.code)));

const userId = "u-1";
if (order.story === "one") {
  analytics.track({ userId, event: "Demo Requested", properties: { value: 12.5 } });
} else {
  analytics.identify({ userId, traits: { email: "ada@quarry.example.test", title: "CFO", company: { employees: 24 } } });
  analytics.track({ userId, event: "Demo Requested", properties: { value: 12.5, note: "ặ" } });
  const url = "https://quarry.example.test/pricing?plan=team";
  analytics.page({ userId, category: "Docs", name: "Pricing", properties: { url } });
  analytics.screen({ userId, category: "App", name: "Home", properties: { tab: 2 } });
  analytics.group({ userId, groupId: "g-1", traits: { name: "Quarry & Sons", employees: 24 } });
  analytics.alias({ userId, previousId: "device-1" });
}
await analytics.closeAndFlush();
console.log(JSON.stringify({ version, failed }));
