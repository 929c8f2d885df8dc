// The only file that names the page's own modules; relative, so that a server behind a path prefix works too.
export { api } from "../../../scripts/api.js";
export { app } from "../../../scripts/app.js";
