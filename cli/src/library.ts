/** The library, in the command's own bundle; the addon beside it is the one of the package. */
export * from '../../npm/src/index.js'
