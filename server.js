// Where OpenCode 2 looks in a folder that it is given as a plugin: it heeds `exports` of a package.json for installed
// packages alone. OpenCode 1 finds its own plugin by `exports` in both cases.
export { default } from './npm/dist/server-v2.js'
