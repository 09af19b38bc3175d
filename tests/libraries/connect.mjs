// An app that lets people in through Assay, as its maker would write it: by openid-client or by oauth4webapi.
//
// Reads one JSON object from standard input. Prints {"open": address} when a person has to go somewhere, and in the end
// {"done": what it found}, each on a line.
import { createServer } from "node:http";
import { once } from "node:events";
import * as oauth from "oauth4webapi";
import * as client from "openid-client";

const given = JSON.parse(await new Response(process.stdin).text());
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

async function comeBack(port) {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const arrived = once(server, "request").then(([request, response]) => {
    response.end("You can close this page.");
    server.close();
    server.closeAllConnections();
    return new URL(request.url, `http://127.0.0.1:${port}`);
  });
  return arrived;
}

const byOpenidClient = {
  async discover() {
    const secret = given.secret ?? undefined;
    const authentication = secret ? undefined : client.None();
    return client.discovery(new URL(given.issuer), given.clientId, secret, authentication, {
      execute: [client.allowInsecureRequests],
    });
  },
  async code() {
    const config = await this.discover();
    const verifier = client.randomPKCECodeVerifier();
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const back = comeBack(given.port);
    print({
      open: client.buildAuthorizationUrl(config, {
        redirect_uri: given.redirectUri,
        scope: given.scope,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        state,
        nonce,
        resource: given.resource,
      }).href,
    });
    const tokens = await client.authorizationCodeGrant(config, await back, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    const person = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
    const found = { claims, person, access: renewed.access_token, lifetime: renewed.expires_in, scope: renewed.scope };
    if (given.secret) {
      found.before = (await client.tokenIntrospection(config, renewed.access_token)).active;
    }
    await client.tokenRevocation(config, renewed.refresh_token);
    found.reused = await client.refreshTokenGrant(config, renewed.refresh_token).then(
      () => "accepted",
      (error) => error.error,
    );
    return found;
  },
  async credentials() {
    const config = await this.discover();
    const tokens = await client.clientCredentialsGrant(config, { scope: given.scope, resource: given.resource });
    return { access: tokens.access_token, lifetime: tokens.expires_in, refresh: tokens.refresh_token ?? null };
  },
  async device() {
    const config = await this.discover();
    const asked = await client.initiateDeviceAuthorization(config, { scope: given.scope });
    print({ open: asked.verification_uri, code: asked.user_code, complete: asked.verification_uri_complete });
    const tokens = await client.pollDeviceAuthorizationGrant(config, asked);
    return { access: tokens.access_token, scope: tokens.scope };
  },
};

const insecure = { [oauth.allowInsecureRequests]: true };

const byOauth4webapi = {
  async discover() {
    const issuer = new URL(given.issuer);
    const answer = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
    return oauth.processDiscoveryResponse(issuer, answer);
  },
  authentication() {
    return given.secret ? oauth.ClientSecretPost(given.secret) : oauth.None();
  },
  async code() {
    const server = await this.discover();
    const self = { client_id: given.clientId };
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const nonce = oauth.generateRandomNonce();
    const address = new URL(server.authorization_endpoint);
    for (const [name, value] of Object.entries({
      client_id: given.clientId,
      redirect_uri: given.redirectUri,
      response_type: "code",
      scope: given.scope,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
    })) {
      address.searchParams.set(name, value);
    }
    const back = comeBack(given.port);
    print({ open: address.href });
    const parameters = oauth.validateAuthResponse(server, self, await back, state);
    const authentication = this.authentication();
    const answer = await oauth.authorizationCodeGrantRequest(
      server, self, authentication, parameters, given.redirectUri, verifier, insecure,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, self, answer, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(server, answer, insecure);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    const person = await oauth.processUserInfoResponse(
      server, self, claims.sub, await oauth.userInfoRequest(server, self, tokens.access_token, insecure),
    );
    const renewed = await oauth.processRefreshTokenResponse(
      server, self, await oauth.refreshTokenGrantRequest(server, self, authentication, tokens.refresh_token, insecure),
    );
    const found = { claims, person, access: renewed.access_token, lifetime: renewed.expires_in, scope: renewed.scope };
    if (given.secret) {
      const told = await oauth.introspectionRequest(server, self, authentication, renewed.access_token, insecure);
      found.before = (await oauth.processIntrospectionResponse(server, self, told)).active;
    }
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, self, authentication, renewed.refresh_token, insecure),
    );
    const again = await oauth.refreshTokenGrantRequest(server, self, authentication, renewed.refresh_token, insecure);
    found.reused = await oauth.processRefreshTokenResponse(server, self, again).then(
      () => "accepted",
      (error) => error.error,
    );
    return found;
  },
  async credentials() {
    const server = await this.discover();
    const self = { client_id: given.clientId };
    const parameters = new URLSearchParams({ scope: given.scope });
    const answer = await oauth.clientCredentialsGrantRequest(server, self, this.authentication(), parameters, insecure);
    const tokens = await oauth.processClientCredentialsResponse(server, self, answer);
    return { access: tokens.access_token, lifetime: tokens.expires_in, refresh: tokens.refresh_token ?? null };
  },
  async device() {
    const server = await this.discover();
    const self = { client_id: given.clientId };
    const parameters = new URLSearchParams({ scope: given.scope });
    const authentication = this.authentication();
    const asked = await oauth.processDeviceAuthorizationResponse(
      server, self, await oauth.deviceAuthorizationRequest(server, self, authentication, parameters, insecure),
    );
    print({ open: asked.verification_uri, code: asked.user_code, complete: asked.verification_uri_complete });
    for (;;) {
      await new Promise((wake) => setTimeout(wake, asked.interval * 1000));
      const answer = await oauth.deviceCodeGrantRequest(server, self, authentication, asked.device_code, insecure);
      try {
        const tokens = await oauth.processDeviceCodeResponse(server, self, answer);
        return { access: tokens.access_token, scope: tokens.scope };
      } catch (error) {
        if (error.error !== "authorization_pending") throw error;
      }
    }
  },
};

const libraries = { "openid-client": byOpenidClient, oauth4webapi: byOauth4webapi };
print({ done: await libraries[given.library][given.flow]() });
