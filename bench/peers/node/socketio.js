// Socket.IO: one process, WebSocket only, no compression. "subscribe" joins a room, "publish" emits into it, "echo" answers.
//
// Of its performance-tuning page: the native mask of bufferutil, and the first HTTP request is let go. Heartbeats are put
// off, as everywhere in the comparison.
'use strict';

const { createServer } = require('node:http');
const { Server } = require('socket.io');

const HOUR_MS = 3_600_000;

const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  pingInterval: HOUR_MS,
  pingTimeout: HOUR_MS,
});

io.engine.on('connection', (raw) => {
  raw.request = null;
});

io.on('connection', (socket) => {
  socket.on('subscribe', (channel, done) => {
    socket.join(channel);
    done();
  });
  socket.on('publish', (channel, data) => io.to(channel).emit('message', data));
  socket.on('echo', (data) => socket.emit('echo', data));
});

server.listen({ port: Number(process.argv[2] ?? 0), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`ready ${server.address().port}`);
});
