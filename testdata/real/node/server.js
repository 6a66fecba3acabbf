// Tells which of two versions is newer, and how long a time is.
const http = require("http");
const ms = require("ms");
const semver = require("semver");

function answer(path) {
  const [, verb, a, b] = path.split("/");
  if (verb === "newer") return semver.gt(a, b) ? a : b;
  if (verb === "ms") return String(ms(a));
  return "semver-service";
}

if (process.argv[2]) {
  console.log(answer(process.argv[2]));
} else {
  http
    .createServer((request, response) => response.end(answer(request.url) + "\n"))
    .listen(3000);
}
