import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'

/**
 * `generateKeyPairSync`, with keys that were read from a text. Node 20 stands still for ever when it collects what has
 * made a key while that very key is being exported as a JWK: both take the key's lock.
 */
export function newKeyPair(type, options) {
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem' }
  const publicKeyEncoding = { type: 'spki', format: 'pem' }
  const pem = generateKeyPairSync(type, { ...options, privateKeyEncoding, publicKeyEncoding })
  return { privateKey: createPrivateKey(pem.privateKey), publicKey: createPublicKey(pem.publicKey) }
}
