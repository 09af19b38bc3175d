// A provider of OpenID Connect with one client and accounts of one domain; tells its issuer when it listens.
import { createServer } from "node:http";

import Provider from "oidc-provider";

const order = JSON.parse(process.argv[2]);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      { client_id: order.clientId, client_secret: order.clientSecret, redirect_uris: [order.redirectUri] },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["only for this test"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@${order.domain}`, email_verified: true, name: `${id} Hollow` }),
    }),
  });
  server.on("request", provider.callback());
  console.log(JSON.stringify({ issuer }));
});
