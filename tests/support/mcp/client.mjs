// The official TypeScript client of MCP, led by lines of JSON: a command each on standard input.
//
// It writes one line {"answer": ...} per command, and {"event": ...} for what happens in between. It
// ends with its input. The SDK is that of the working directory.

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const require = createRequire(resolve('package.json'));
const { Client } = require('@modelcontextprotocol/sdk/client');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

const write = (kind, what) => console.log(JSON.stringify({ [kind]: what }));

let client, transport;

const commands = {
    async connect({ url, turns = [url] }) {
        let turn = 0;
        const to = new StreamableHTTPClientTransport(new URL(url), {
            fetch: (_, init) => fetch(turns[turn++ % turns.length], init),
        });
        const made = new Client({ name: 'test', version: '1.0.0' });
        made.onerror = (error) => write('event', { log: error.message });
        made.fallbackNotificationHandler = async ({ method, params }) =>
            write('event', { notification: method, uri: params?.uri ?? null });
        await made.connect(to, { timeout: 30_000 });
        [client, transport] = [made, to];
        return { protocol: to.protocolVersion };
    },
    async tools() {
        return (await client.listTools(undefined, { timeout: 30_000 })).tools.map(({ name }) => name).sort();
    },
    async call({ tool, seconds = 30 }) {
        const options = { timeout: seconds * 1_000 };
        return (await client.callTool({ name: tool }, undefined, options)).content[0].text;
    },
    async close() {
        try {
            await transport.terminateSession();
        } finally {
            await client.close();
        }
        return null;
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const { do: name, ...parameters } = JSON.parse(line);
    try {
        write('answer', { ok: await commands[name](parameters) });
    } catch (error) {
        write('answer', { error: error.message, code: error.code ?? null });
    }
}
process.exit(0);
