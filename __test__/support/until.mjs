/** Resolves once `check` returns something truthy, and throws when it does not within 10 s. */
export async function until(check) {
  const endsAt = Date.now() + 10_000
  for (;;) {
    const found = await check()
    if (found) return found
    if (Date.now() > endsAt) throw new Error(`it did not come to pass: ${check}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
