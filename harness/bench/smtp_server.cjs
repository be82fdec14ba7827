// Node's smtp-server as a peer: takes every mail, keeps nothing. node smtp_server.cjs FOLDER-OF-THE-PACKAGE PORT
const { SMTPServer } = require(process.argv[2]);
new SMTPServer({
  authOptional: true,
  disableReverseLookup: true,
  size: 32 << 20,
  onData(stream, session, done) {
    stream.on("data", () => {});
    stream.on("end", () => done(null, "taken"));
  },
}).listen(Number(process.argv[3]), "127.0.0.1");
