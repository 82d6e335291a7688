// Clients of gRPC-Web, as browsers run them: node client.mjs URL SESSION.
//
// It prints a line of JSON for each call: by which client, and what came of it. Messages are google.protobuf.StringValue,
// so that nothing has to be generated. The packages are those of the working directory.

import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const require = createRequire(resolve('package.json'));
const { create, createFileRegistry } = require('@bufbuild/protobuf');
const { FileDescriptorProtoSchema, file_google_protobuf_wrappers } = require('@bufbuild/protobuf/wkt');
const { createClient } = require('@connectrpc/connect');
const { createGrpcWebTransport } = require('@connectrpc/connect-web');
const { GrpcWebFetchTransport } = require('@protobuf-ts/grpcweb-transport');
const { MessageType } = require('@protobuf-ts/runtime');
const { ServiceType, stackIntercept } = require('@protobuf-ts/runtime-rpc');

const [url, session] = process.argv.slice(2);

// The HTTP status that a client got last.
let status;
globalThis.fetch = ((plain) => (...request) =>
    plain(...request).then((response) => {
        status = response.status;
        return response;
    }))(globalThis.fetch);

function connectEs() {
    const message = { inputType: '.google.protobuf.StringValue', outputType: '.google.protobuf.StringValue' };
    const file = create(FileDescriptorProtoSchema, {
        name: 'words.proto',
        package: 'test',
        syntax: 'proto3',
        dependency: ['google/protobuf/wrappers.proto'],
        service: [
            {
                name: 'Words',
                method: [
                    { name: 'Unary', ...message },
                    { name: 'Scatter', serverStreaming: true, ...message },
                ],
            },
        ],
    });
    const words = createFileRegistry(file, () => file_google_protobuf_wrappers).getService('test.Words');
    const client = createClient(words, createGrpcWebTransport({ baseUrl: url }));
    const failed = ({ code, rawMessage, metadata }) => ({
        code,
        message: rawMessage,
        pushback: metadata.has('grpc-retry-pushback-ms'),
    });
    return {
        name: 'connect-es',
        unary: (id) =>
            client.unary({ value: 'a' }, { headers: { 'x-session-id': id } }).then(({ value }) => [value], failed),
        async scatter(id) {
            const replies = [];
            try {
                for await (const { value } of client.scatter({ value: 'a b' }, { headers: { 'x-session-id': id } })) {
                    replies.push(value);
                }
                return replies;
            } catch (error) {
                return failed(error);
            }
        },
    };
}

function protobufTs(format) {
    // STRING, without a JSON form of its own.
    const text = new MessageType('google.protobuf.StringValue', [{ no: 1, name: 'value', kind: 'scalar', T: 9 }]);
    const words = new ServiceType('test.Words', [
        { name: 'Unary', options: {}, I: text, O: text },
        { name: 'Scatter', options: {}, I: text, O: text, serverStreaming: true },
    ]);
    const transport = new GrpcWebFetchTransport({ baseUrl: url, format });
    const call = (at, id, value) => {
        const options = transport.mergeOptions({ meta: { 'x-session-id': id } });
        const kind = at ? 'serverStreaming' : 'unary';
        return stackIntercept(kind, transport, words.methods[at], options, text.create({ value }));
    };
    const failed = ({ code, message, meta }) => ({ code, message, pushback: 'grpc-retry-pushback-ms' in meta });
    return {
        name: `protobuf-ts ${format}`,
        unary: (id) => call(0, id, 'a').then(({ response }) => [response.value], failed),
        async scatter(id) {
            const replies = [];
            try {
                const calls = call(1, id, 'a b');
                for await (const { value } of calls.responses) {
                    replies.push(value);
                }
                await calls;
                return replies;
            } catch (error) {
                return failed(error);
            }
        },
    };
}

for (const client of [connectEs(), protobufTs('binary'), protobufTs('text')]) {
    for (const kind of ['unary', 'scatter']) {
        for (const id of [session, '00000000-0000-4000-8000-000000000000', 'lost']) {
            const came = await client[kind](id);
            console.log(JSON.stringify({ client: client.name, kind, id, came, status }));
        }
    }
}
