/** Where the local provider keeps its grants and tokens: maps in memory, unbounded, one set for each provider. */
export function createMemoryAdapter() {
  const records = new Map()
  const members = new Map()

  const find = (key) => {
    const record = records.get(key)
    if (record === undefined || record.endsAt > Date.now()) return record?.payload
    records.delete(key)
    return undefined
  }
  const findWhere = (model, test) => {
    for (const key of records.keys()) {
      const payload = key.startsWith(`${model}:`) ? find(key) : undefined
      if (payload !== undefined && test(payload)) return payload
    }
    return undefined
  }
  const revoke = (grantId) => {
    for (const key of members.get(grantId) ?? []) records.delete(key)
    members.delete(grantId)
  }

  const adapter = (model) => ({
    async upsert(id, payload, expiresIn) {
      const key = `${model}:${id}`
      records.set(key, { payload, endsAt: expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000 })
      if (payload.grantId === undefined) return
      if (!members.has(payload.grantId)) members.set(payload.grantId, new Set())
      members.get(payload.grantId).add(key)
    },
    find: async (id) => find(`${model}:${id}`),
    findByUid: async (uid) => findWhere(model, (payload) => payload.uid === uid),
    findByUserCode: async (userCode) => findWhere(model, (payload) => payload.userCode === userCode),
    async consume(id) {
      find(`${model}:${id}`).consumed = Math.floor(Date.now() / 1000)
    },
    async destroy(id) {
      records.delete(`${model}:${id}`)
    },
    revokeByGrantId: async (grantId) => revoke(grantId),
  })

  /** Ends every grant of a user, as an administrator would. */
  const revokeGrantsOf = (user) => {
    for (const [key, { payload }] of records) {
      if (!key.startsWith('Grant:') || payload.accountId !== user) continue
      records.delete(key)
      revoke(payload.jti)
    }
  }
  return { adapter, revokeGrantsOf }
}
