/** The priorities that a move sets: it comes to its place, and the order of all others is never another one on the way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFirst, moveAccount, preferred, renumbered } from '../npm/build/order.js'

/** Numbers that look random, the same in each run. */
function createRandom(seed) {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
}

const account = (id, priority, kind = 'oauth') => ({
  id,
  provider: 'acme',
  namespace: 'default',
  kind,
  priority,
  createdAt: id.charCodeAt(0),
})
const ids = (accounts) => accounts.map(({ id }) => id).join('')
const set = (accounts, { id, priority }) => accounts.map((one) => (one.id === id ? { ...one, priority } : one))

test('any account comes to any place of any pool', () => {
  const random = createRandom(14)
  for (let round = 0; round < 2_000; round += 1) {
    const count = 1 + random(7)
    let pool = Array.from({ length: count }, (_, index) => account('abcdefg'[index], random(5) - 2))
    const moved = pool[random(count)]
    const index = random(count)
    const others = () => preferred(pool).filter(({ id }) => id !== moved.id)
    const before = ids(others())
    const changes = renumbered(moved, index, pool)
    const shown = JSON.stringify({ pool, moved, index, changes })
    for (const change of changes) {
      pool = set(pool, change)
      assert.equal(ids(others()), before, shown)
    }
    const after = preferred(pool)
    assert.equal(after[index].id, moved.id, shown)
    // No one that is equal may serve in its place.
    assert.ok(index === 0 || after[index - 1].priority < after[index].priority, shown)
    assert.ok(index === count - 1 || after[index].priority < after[index + 1].priority, shown)
    assert.ok(changes.length <= Math.floor((count + 1) / 2), shown)
  }
})

test('a gap is used, and nothing is set where nothing has to be', () => {
  const pool = [account('a', 0), account('b', 10), account('c', 20)]
  assert.equal(renumbered(pool[2], 1, pool).length, 1)
  assert.deepEqual(renumbered(pool[1], 1, pool), [])
  assert.deepEqual(renumbered(pool[0], 2, pool), [{ id: 'a', priority: 21 }])
})

test('logins and API keys have an order each', () => {
  const pool = [account('k', -5, 'api'), account('a', 0), account('b', 0), account('l', 3, 'api')]
  assert.equal(ids(preferred(pool)), 'abkl')
  assert.ok(isFirst(pool[0], pool))
  assert.ok(!isFirst(pool[1], pool), 'an equal one may serve in its place')
  assert.deepEqual(renumbered(pool[3], 0, pool), [{ id: 'l', priority: -6 }])
})

test('an account is moved once more where another process changed the pool meanwhile', async () => {
  let pool = [account('a', 0), account('b', 1), account('c', 2)]
  let disturbed = false
  const library = {
    listAccounts: async () => pool,
    updateAccount: async (id, { priority }) => {
      pool = set(pool, { id, priority })
      if (!disturbed) pool = set(pool, { id: 'b', priority: -9 })
      disturbed = true
      return pool.find((one) => one.id === id)
    },
  }
  const { peers } = await moveAccount(library, 'c', 'first')
  assert.equal(ids(peers), 'cba')
})
