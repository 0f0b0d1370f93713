vcl 4.1;
# Whole objects, kept for the run; ranges are cut from them. @NAMES@ are filled in by VarnishServer.
backend default { .host = "@HOST@"; .port = "@PORT@"; .max_connections = 200; }
sub vcl_recv { unset req.http.cookie; unset req.http.authorization; return (hash); }
sub vcl_backend_response { set beresp.ttl = 30d; set beresp.do_stream = true; unset beresp.http.set-cookie; }
