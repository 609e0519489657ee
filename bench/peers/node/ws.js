// Node ws: one process, no compression. /sub gets what a path that begins with /pub sends, /echo gets its own back.
//
// As its README has a broadcast: a loop of send(). The native mask of bufferutil is installed beside it, and text is not
// checked again: a browser made it.
'use strict';

const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');

const server = createServer((_, response) => response.writeHead(404).end());
const options = { noServer: true, perMessageDeflate: false, skipUTF8Validation: true, clientTracking: false };
const sockets = new WebSocketServer(options);
const subscribers = new Set();

function subscribe(socket) {
  subscribers.add(socket);
  socket.on('close', () => subscribers.delete(socket));
}

function publish(socket) {
  socket.on('message', (data, binary) => {
    for (const subscriber of subscribers) subscriber.send(data, { binary });
  });
}

function echo(socket) {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
}

function roleOf(path) {
  if (path.startsWith('/pub')) return publish;
  return path === '/echo' ? echo : subscribe;
}

server.on('upgrade', (request, stream, head) => {
  stream.setNoDelay(true);
  const role = roleOf(request.url);
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.on('error', () => {});
    role(socket);
  });
});

// As many connections as the comparison opens at once.
server.listen({ port: Number(process.argv[2] ?? 0), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`ready ${server.address().port}`);
});
