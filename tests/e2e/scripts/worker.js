// A second thread of node's fills a list.
const {Worker} = require("worker_threads");
new Worker("let a = []; for (let i = 0; i < 1e5; i++) a.push([i]); console.log(a.length)", {eval: true});
