// One page, told by its address what to be: ?hub=ws://HOST:PORT&via=ws|sse&hooks=classic|options&path=…&task=…

import { createRoot } from 'react-dom/client';
import { Classic } from './classic.jsx';
import { Options } from './options.jsx';

const asked = Object.fromEntries(new URLSearchParams(window.location.search));
const App = { classic: Classic, options: Options }[asked.hooks];

createRoot(document.getElementById('root')).render(<App {...asked} />);
