// The oidc-provider peer: a certified authorization server whose token endpoint can be counted and spoiled.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

import { Provider } from 'oidc-provider';

const config = JSON.parse(process.argv[2]);

const faults = [];
let counts = nothing();
let inFlight = 0;

function nothing() {
  return { arrived: {}, granted: 0, refused: 0, abandoned: 0 };
}

function authorizationServer() {
  return new Provider(config.issuer, {
    clients: [
      {
        client_id: config.client_id,
        client_secret: config.client_secret || undefined,
        ...(config.own
          ? { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }
          : { redirect_uris: [config.redirect_uri], grant_types: ['authorization_code', 'refresh_token'] }),
        token_endpoint_auth_method: config.auth_method,
        ...config.registered,
      },
    ],
    claims: { openid: ['sub', 'email'] },
    // The default leaves the email address to the userinfo endpoint.
    conformIdTokenClaims: false,
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@account.example` }),
    }),
    // The default keeps an expired access token alive for another 15 s.
    clockTolerance: 0,
    cookies: { keys: ['not-a-real-cookie-key'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      // RFC 8707. A token request without a resource gets no audience, although its login named one.
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_ctx, resource) => ({ scope: 'read', audience: resource }),
        useGrantedResource: () => false,
      },
      revocation: { enabled: true },
    },
    scopes: ['openid', 'offline_access', 'read'],
    // The default rotates only past 70 % of the refresh token's life.
    rotateRefreshToken: true,
    ttl: {
      AccessToken: config.access_lifetime,
      ClientCredentials: config.access_lifetime,
      RefreshToken: config.refresh_lifetime,
      // A refresh token dies with its grant.
      Grant: config.refresh_lifetime,
    },
  });
}

async function control(ctx, next) {
  switch (`${ctx.method} ${ctx.path}`) {
    case 'GET /_control/stats':
      ctx.body = { ...counts, in_flight: inFlight };
      break;
    case 'DELETE /_control/stats':
      counts = nothing();
      ctx.status = 204;
      break;
    case 'POST /_control/faults':
      faults.push(...JSON.parse(await text(ctx.req)));
      ctx.status = 204;
      break;
    case 'POST /token':
      await tokenRequest(ctx, next);
      break;
    default:
      await next();
  }
}

async function tokenRequest(ctx, next) {
  // The grant type is needed before oidc-provider reads the body, which then takes it from here.
  ctx.req.body = await text(ctx.req);
  const [kind, seconds] = arrive(new URLSearchParams(ctx.req.body).get('grant_type') ?? '');
  if (kind === 'late-commit') hangUp(ctx);
  if (seconds) await sleep(Number(seconds) * 1000);
  if (kind === 'refuse-503') refuse(ctx);
  else if (kind !== 'drop-request') await next();
  // Counted before the client can see an answer, so that it never reads a count that lags.
  if (kind !== 'late-commit' && hasHungUp(ctx)) counts.abandoned += 1;
  depart(kind === 'drop-request' ? null : ctx.status);
  if (kind === 'drop-request' || kind === 'drop-answer') hangUp(ctx);
}

function arrive(grantType) {
  counts.arrived[grantType] = (counts.arrived[grantType] ?? 0) + 1;
  inFlight += 1;
  const fault = grantType === 'authorization_code' ? undefined : faults.shift();
  return fault?.split(':') ?? [];
}

function depart(status) {
  inFlight -= 1;
  if (status === 200) counts.granted += 1;
  else if (status !== null) counts.refused += 1;
}

function refuse(ctx) {
  ctx.status = 503;
  ctx.set('Retry-After', '1');
  ctx.body = 'a planned fault';
}

function hasHungUp(ctx) {
  // Node ends a connection whose other end was closed while a request is being answered.
  return ctx.req.socket.destroyed || ctx.req.socket.writableEnded;
}

function hangUp(ctx) {
  ctx.respond = false;
  ctx.req.socket.destroy();
}

const server = createServer(authorizationServer().use(control).callback());
// The default of 5 s equals httpx's keep-alive: a request could meet the closing of its connection.
server.keepAliveTimeout = 60_000;
server.listen({ fd: config.listener });

// Standard input closes when the tests end, however they end.
process.stdin.on('end', () => process.exit()).resume();
