/** The TUI plugin of provider-auth for OpenCode, for `"plugin": ["file:///path/to/provider-auth"]` in tui.json. */

/** OpenCode calls `tui` with its TUI, and the options of `tui.json` (`maskIdentity`: e-mail addresses are masked; default true). */
declare const plugin: { id: string; tui: (api: never, options?: Record<string, unknown>) => Promise<void> }
// biome-ignore lint/style/noDefaultExport: the form of OpenCode's plugins.
export default plugin
