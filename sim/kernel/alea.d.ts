declare module 'seedrandom/lib/alea.js' {
  /** A stream of numbers in [0, 1), determined by the seed. */
  export default function alea(seed: string): () => number
}
