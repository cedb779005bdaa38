/** Judges a value by a JSON Schema (draft-07), as far as this project's schemas use it; any other keyword is an error. */

/** Returns the first fault of a value, or `undefined`. */
export function faultOf(schema, value) {
  return judge(schema, value, '', schema)
}

const NOTES = new Set(['$schema', 'title', 'description', 'default', 'definitions'])

const KEYWORDS = {
  $ref: (pointer, value, path, root) => judge(resolve(root, pointer), value, path, root),
  type: (type, value, path) => (types[type](value) ? undefined : `${path}: no ${type}`),
  enum: (choices, value, path) => (choices.includes(value) ? undefined : `${path}: none of ${choices}`),
  const: (wanted, value, path) => (value === wanted ? undefined : `${path}: not ${wanted}`),
  pattern: (pattern, value, path) =>
    typeof value !== 'string' || new RegExp(pattern, 'u').test(value) ? undefined : `${path}: not ${pattern}`,
  minLength: (least, value, path) => (value.length >= least ? undefined : `${path}: too short`),
  minItems: (least, value, path) => (value.length >= least ? undefined : `${path}: too few`),
  minimum: (least, value, path) => (value >= least ? undefined : `${path}: below ${least}`),
  maximum: (most, value, path) => (value <= most ? undefined : `${path}: above ${most}`),
  items: (schema, value, path, root) => first(value, (item, index) => judge(schema, item, `${path}/${index}`, root)),
  required: (keys, value, path) =>
    first(keys, (key) => (value[key] === undefined ? `${path}/${key}: missing` : undefined)),
  dependencies: (needs, value, path) =>
    first(Object.keys(needs), (key) =>
      value[key] === undefined ? undefined : KEYWORDS.required(needs[key], value, path),
    ),
  properties: (schemas, value, path, root) =>
    first(Object.keys(schemas), (key) =>
      value[key] === undefined ? undefined : judge(schemas[key], value[key], `${path}/${key}`, root),
    ),
  propertyNames: (schema, value, path, root) =>
    first(Object.keys(value), (key) => judge(schema, key, `${path}/${key}`, root)),
  additionalProperties: (schema, value, path, root, { properties = {} }) =>
    first(Object.keys(value), (key) => {
      if (key in properties) return undefined
      return schema === false ? `${path}/${key}: unknown key` : judge(schema, value[key], `${path}/${key}`, root)
    }),
  allOf: (schemas, value, path, root) => first(schemas, (schema) => judge(schema, value, path, root)),
  anyOf: (schemas, value, path, root) => {
    const faults = schemas.map((schema) => judge(schema, value, path, root))
    return faults.includes(undefined) ? undefined : faults.at(-1)
  },
  not: (schema, value, path, root) =>
    judge(schema, value, path, root) === undefined ? `${path}: not allowed` : undefined,
}

const types = {
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  array: Array.isArray,
  null: (value) => value === null,
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: Number.isInteger,
}

/** A type is judged first, so that the other keywords need not ask. */
function judge(schema, value, path, root) {
  const keywords = Object.keys(schema).filter((keyword) => !NOTES.has(keyword))
  keywords.sort((a, b) => Number(b === 'type') - Number(a === 'type'))
  return first(keywords, (keyword) => {
    const check = KEYWORDS[keyword]
    if (check === undefined) throw new Error(`the keyword ${keyword} is not known here`)
    return check(schema[keyword], value, path, root, schema)
  })
}

function resolve(root, pointer) {
  const steps = pointer.split('/').slice(1)
  return steps.reduce((schema, step) => schema[step], root)
}

function first(items, look) {
  for (const [index, item] of items.entries()) {
    const fault = look(item, index)
    if (fault !== undefined) return fault
  }
  return undefined
}
