/** The version of the package; kept equal to package.json by a test, as reading a file would cost start-up time. */
export const VERSION = '0.1.0'
