/**
 * The plugin of provider-auth for OpenCode 2, for `"plugins": ["provider-auth"]`. OpenCode calls
 * `setup`; what it returns is called when the plugin is unloaded.
 */
declare const plugin: {
  readonly id: 'provider-auth'
  setup(context: object): Promise<(() => Promise<void>) | undefined>
}
// biome-ignore lint/style/noDefaultExport: the form of OpenCode's plugins.
export default plugin
